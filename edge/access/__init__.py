"""Who may watch, and how a site tells viewers apart: what origins and WebRTC share.

Used by `edge.origin` and `edge.whep`. A grant is judged here by what the directory replica says, without asking
anybody; a viewer's id or address leaves a process only as a hash under a key of the site.
"""
