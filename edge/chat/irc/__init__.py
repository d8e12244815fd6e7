"""The rooms of a gateway over IRC, in the form that bots and clients of Twitch's chat know.

Built by `edge.chat.server`. A client comes on the IRC ports or as a WebSocket of the viewer port; its `IrcClient`
sits in rooms beside their WebSocket readers, as one `Joined` each, and what it says goes through the same rules.
Lines of a room are rendered once for all who asked for the same capabilities. IRC knows no acknowledgement: a
message is durable before its author gets USERSTATE, and no client may cost memory or work without a bound.
"""
