"""Where a stream is watched. Reads only; answers 404 for what never was and 410 for what is over."""
