"""The box: what any node needs before it knows its role.

`contracts` names everything that crosses a process or a WAN, `runtime` gives every role its settings,
bus, logs and metrics, `engines` runs real servers as children, `supervisor` runs the plan of a node and
`cli` is its thin face. May be imported by `edge` and `coordinator`; imports neither.
"""

VERSION = "0.1.0"
