extends RefCounted
## What a server does while it is measured. This one takes packets and does nothing with them.

## After a poll that brought nothing, a server that is not paced by frames rests for so long: the
## load generator may be the slower one, and polls that find nothing are not what is measured.
const REST_USEC := 20

var server: SceneTree
var peer: MultiplayerPeer
## The longest of the polls that `timed_poll` made.
var longest_poll := 0
## Packets that the peer did not take; a valid measurement has none.
var refused := 0


## Runs and measures. What it found besides what the meter did, by name.
func run() -> Dictionary:
	return {}


## The server listens, and nobody is there.
func prepare() -> void:
	pass


## So many peers are there; called while more are awaited.
func gathered(_count: int) -> void:
	pass


## One poll and what it brings. How many packets that was.
func step() -> int:
	peer.poll()
	var taken := 0
	while peer.get_available_packet_count() > 0:
		peer.get_packet()
		taken += 1
	return taken


## A step that sends everything back.
func echo() -> int:
	peer.poll()
	var taken := 0
	while peer.get_available_packet_count() > 0:
		peer.set_target_peer(peer.get_packet_peer())
		put(peer.get_packet())
		taken += 1
	return taken


func timed_poll() -> void:
	var started := Time.get_ticks_usec()
	peer.poll()
	longest_poll = maxi(longest_poll, Time.get_ticks_usec() - started)


## As a step, when the measurement is over.
func linger() -> void:
	step()


## Steps for so many milliseconds, once a frame or as often as there is something to do. How many
## packets came.
func steps(milliseconds: int) -> int:
	var end := Time.get_ticks_msec() + milliseconds
	var taken := 0
	if server.is_framed():
		while Time.get_ticks_msec() < end:
			await server.process_frame
			taken += step()
		return taken
	while Time.get_ticks_msec() < end:
		var now := step()
		taken += now
		if now == 0:
			OS.delay_usec(REST_USEC)
	return taken


func put(packet: PackedByteArray) -> void:
	if peer.put_packet(packet) != OK:
		refused += 1


## What the clients expect: `index` in front, then a pattern.
func pattern(size: int, index: int) -> PackedByteArray:
	var packet := PackedByteArray()
	packet.resize(size)
	for i in size:
		packet[i] = (i * 31 + 7) & 0xff
	packet.encode_u32(0, index)
	return packet
