"""Process trees and files of the operating system, handled so that nothing is left behind."""
