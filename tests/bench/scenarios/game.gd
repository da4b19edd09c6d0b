extends "res://scenario.gd"
## Players send their input, and get the state of the world once a frame: each a packet of its own.

const Account := preload("res://account.gd")

var _account := Account.new()
var _state: PackedByteArray
var _frame := 0


func run() -> Dictionary:
	_state = pattern(server.number("size"), 0)
	await _frames(server.number("warm"))
	server.meter.start()
	await _frames(server.number("frames"))
	server.meter.stop("frame", server.number("frames"))
	return {}


func _frames(count: int) -> void:
	for i in count:
		await server.process_frame
		step()
		_state.encode_u32(0, _frame)
		for id: int in server.ids:
			_state.encode_u32(4, id)
			peer.set_target_peer(id)
			put(_state)
		_frame += 1


func step() -> int:
	peer.poll()
	while peer.get_available_packet_count() > 0:
		var from := peer.get_packet_peer()
		_account.take(from, peer.get_packet())
	return 0


func linger() -> void:
	step()
	server.judge(_account.verdict(server.number("clients")))
