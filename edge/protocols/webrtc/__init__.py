"""WebRTC's wire formats for a server that receives and sends media: ICE-lite, DTLS-SRTP, RTP, RTCP, SDP.

For roles that own a UDP socket. Datagrams and times in, datagrams and frames out; no socket, no clock, no
randomness of its own. Every byte comes from strangers: no input may raise anything but WebrtcError, and
everything that is held is bounded in number and in time.
"""
