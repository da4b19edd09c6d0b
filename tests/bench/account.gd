extends RefCounted
## Checks packets of many clients, which number theirs. Each client's last packet is shorter than
## the others, and says how many those were.

const LAST_SIZE := 4

## Packets that came; those that were not looked at may be added.
var taken := 0

var _next := {}
var _sent := 0
var _ended := 0
var _disordered := 0


func take(from: int, packet: PackedByteArray) -> void:
	var index := packet.decode_u32(0)
	if packet.size() == LAST_SIZE:
		_sent += index
		_ended += 1
		return
	taken += 1
	if _next.get(from, index) != index:
		_disordered += 1
	_next[from] = index + 1


## What to tell when so many clients have sent their last packet; nothing before.
func verdict(clients: int) -> String:
	if _ended < clients:
		return ""
	if taken == _sent and _disordered == 0:
		return "sound"
	return "broken: %d of %d packets came, %d out of order" % [taken, _sent, _disordered]
