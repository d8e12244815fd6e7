"""Grants: who signs them, who lost them.

Private keys lie in a folder of the coordinator that made them (mode 0600) and never in the database or on the bus;
public keys and revocations go to the edges with the directory. A key is announced a day before it signs, so that
every edge knows it, and stays known until the last grant it signed can no longer be renewed.
"""
