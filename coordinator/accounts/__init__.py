"""Who people are: users, their API tokens, and what a token may do.

Other slices call the service inside their own unit of work. A token exists in clear only in the answer that
made it; never in the database, a log or the directory.
"""
