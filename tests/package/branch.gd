extends Node
## What the server and the client have in common.

var heard: Array[String] = []


@rpc("any_peer", "call_remote", "reliable")
func greet(text: String) -> void:
	var sender := multiplayer.get_remote_sender_id()
	heard.append("%d: %s" % [sender, text])
	if multiplayer.is_server():
		greet.rpc_id(sender, text + " to you")
