extends Node
## Answers calls.

var calls := 0


@rpc("any_peer", "call_remote", "reliable")
func ping(number: int) -> void:
	calls += 1
	pong.rpc_id(multiplayer.get_remote_sender_id(), number)


@rpc("authority", "call_remote", "reliable")
func pong(_number: int) -> void:
	pass
