import unittest

from tally.receipt import Receipt


class ReceiptTest(unittest.TestCase):
    def test_total_counts_quantities(self):
        receipt = Receipt()
        receipt.add("tea", 300, quantity=2)
        receipt.add("cake", 450)
        self.assertEqual(receipt.total(), 1050)

    def test_text_ends_with_the_total(self):
        receipt = Receipt()
        receipt.add("tea", 300)
        self.assertTrue(receipt.text().endswith("TOTAL $3.00"))
