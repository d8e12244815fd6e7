"""Test clips whose pictures count themselves, an encoder that publishes them, a player that keeps every byte.

For tests only; product code never imports it.
"""
