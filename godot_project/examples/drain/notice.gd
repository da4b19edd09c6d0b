extends Node
## What a server that goes tells its players. The same node on both sides, at the same path.

signal going_down(seconds: float)


@rpc("authority", "call_remote", "reliable")
func tell(seconds: float) -> void:
	going_down.emit(seconds)
