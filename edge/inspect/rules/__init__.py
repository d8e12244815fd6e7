"""The rules, one module per theme. Pure: observations in, notes of violated requirements out; no clock, no I/O."""
