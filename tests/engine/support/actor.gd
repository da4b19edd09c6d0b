extends Node
## The node whose RPCs the tests call; the same script on every side. Notes who called what.

signal called(method: String, sender: int, value: Variant)

## [method, sender, value] in the order of arrival.
var calls: Array = []


func _note(method: String, value: Variant) -> void:
	var sender := multiplayer.get_remote_sender_id()
	calls.append([method, sender, value])
	called.emit(method, sender, value)


@rpc("any_peer", "call_remote", "reliable")
func reliable(value: Variant) -> void:
	_note("reliable", value)


@rpc("any_peer", "call_remote", "unreliable")
func unreliable(value: Variant) -> void:
	_note("unreliable", value)


@rpc("any_peer", "call_remote", "unreliable_ordered", 3)
func ordered(value: Variant) -> void:
	_note("ordered", value)


@rpc("any_peer", "call_local", "reliable")
func local(value: Variant) -> void:
	_note("local", value)


@rpc("authority", "call_remote", "reliable")
func from_authority(value: Variant) -> void:
	_note("from_authority", value)
