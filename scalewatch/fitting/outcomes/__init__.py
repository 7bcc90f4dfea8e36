"""Laws that compete on a table of finished runs with whatever columns it has, and what they foretell of others.

A law of size and tokens is of no use for a table of experts, vocabularies or learning rates, and the one law that fits
best is the wrong one sooner or later. So each law that the columns allow is a `Shape`; it is fitted with expectations
(`search`), asked about runs that it has not seen in the directions in which it will be asked (`origins`), and weighed
by the answers (`contest`).
"""
