"""`ticketing audit`: reads every database, Stripe and the stream, and checks the two promises.

`facts` is what was read, `sources`, `bank` and `stream` read it, `units`, `money`, `timing`,
`replicas` and `versions` check it, `rounds` looks again at what may only have been in motion.
"""
