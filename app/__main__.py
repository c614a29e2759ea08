"""`python -m sipcdr.app`: the command where its script isn't on the path."""

from ._cli import main

main()
