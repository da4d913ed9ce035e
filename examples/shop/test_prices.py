import unittest

import prices


class PricesTest(unittest.TestCase):
    def test_total_adds_up(self):
        self.assertEqual(prices.total([250, 300]), 550)

    def test_a_line_has_name_and_price(self):
        self.assertEqual(prices.line("tea", 250), "tea 2.50")
