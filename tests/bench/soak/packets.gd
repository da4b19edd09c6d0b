extends RefCounted
## The packets of a soak, as `rust/bench/src/soak/packet.rs` makes them too: what is in one follows
## from its kind, its sender and its number, so that each byte can be checked.
##
## Byte 0 is the kind and the low bits of the number, then come the number and the sender, then a
## part of a pattern. A packet that is shorter than that is the beginning of it.

## Goes back to its sender as it is.
const ECHO := 0
## Is counted and checked, no more.
const SINK := 1
## From the server to all.
const BROADCAST := 2
## Says something about the run; what it is takes the place of the number.
const CONTROL := 3

## From a client: its key.
const HELLO := 0
## From a client: how many packets it has sent. The answer: how many came, how many went back, and
## the number of the next broadcast.
const CHECK := 1
## To a client: the number of the next broadcast.
const WELCOME := 2
## From a client: it stops reading, and packets to it may be refused.
const SLOW := 3
## From a client: it has read everything.
const FAST := 4
## From a client: it falls silent now, and a heartbeat is to find out.
const VANISH := 5

const LARGEST := 64 * 1024

const _HEAD := 9
## Parts of the pattern start at one of so many places.
const _PLACES := 251

var _pattern := PackedByteArray()
var _head := PackedByteArray()


func _init() -> void:
	_head.resize(_HEAD)
	_pattern.resize(LARGEST + _PLACES)
	var state := 1
	for i in _pattern.size():
		state = (state * 1664525 + 1013904223) & 0xffffffff
		_pattern[i] = state >> 24


func make(kind: int, sender: int, number: int, size: int) -> PackedByteArray:
	_head[0] = kind << 6 | number & 63
	_head.encode_u32(1, number)
	_head.encode_u32(5, sender)
	if size <= _HEAD:
		return _head.slice(0, size)
	var place := (sender * 7 + number * 13) % _PLACES
	return _head + _pattern.slice(place, place + size - _HEAD)


func control(word: int, numbers: PackedInt32Array) -> PackedByteArray:
	var packet := PackedByteArray([CONTROL << 6 | word])
	packet.append_array(numbers.to_byte_array())
	return packet


static func kind(packet: PackedByteArray) -> int:
	return packet[0] >> 6


## What a packet says of itself.
static func describe(packet: PackedByteArray) -> String:
	if packet.size() < _HEAD:
		return packet.hex_encode()
	return "%d bytes, kind %d, number %d of sender %d" % [
			packet.size(), kind(packet), packet.decode_u32(1), packet.decode_u32(5)]
