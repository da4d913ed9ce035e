import unittest

from tally.money import dollars


class MoneyTest(unittest.TestCase):
    def test_cents_are_shown(self):
        self.assertEqual(dollars(250), "$2.50")
