"""`python -m sipcdr.app`: the command where its script isn't on the path; and what spark-submit takes, a file."""

from sipcdr.app._cli import main

main()
