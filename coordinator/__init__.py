"""The control plane: who people are, what they may do, and what happened on every edge.

One folder per subject, the same files in each (models, store, service, routes). The centre learns from
edges and hands facts down; no viewer, message or frame waits for it. Imports `appliance`, never `edge`.
"""
