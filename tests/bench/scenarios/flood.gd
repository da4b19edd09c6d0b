extends "res://scenario.gd"
## Clients send as fast as they can; nothing is sent back. While it is measured packets are only
## counted; those that come after it are looked at one by one.

const Account := preload("res://account.gd")

var _account := Account.new()
var _most := 0


func run() -> Dictionary:
	await steps(200)
	longest_poll = 0
	_most = 0
	server.meter.start()
	var taken: int = await steps(server.number("msec"))
	server.meter.stop("packet", taken)
	return { "longest poll us": longest_poll, "most packets in a poll": _most }


func step() -> int:
	timed_poll()
	var taken := 0
	while peer.get_available_packet_count() > 0:
		peer.get_packet()
		taken += 1
	_account.taken += taken
	_most = maxi(_most, taken)
	return taken


func linger() -> void:
	peer.poll()
	while peer.get_available_packet_count() > 0:
		var from := peer.get_packet_peer()
		_account.take(from, peer.get_packet())
	server.judge(_account.verdict(server.number("clients")))
