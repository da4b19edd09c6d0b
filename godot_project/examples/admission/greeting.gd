extends Node
## What a server tells those who are in. The same node on both sides, at the same path.

signal greeted(user: String)


@rpc("authority", "call_remote", "reliable")
func greet(user: String) -> void:
	greeted.emit(user)
