"""One small file per way the box can be broken; `run` looks, and says in words what to do about it."""
