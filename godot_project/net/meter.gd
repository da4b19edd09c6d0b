class_name Meter
extends Node
## Measures a session twice a second, for the overlay. What a peer cannot tell is NAN.

signal measured

const PAUSE := 0.5
const KEPT := 120

enum Kind { BYTES_IN, BYTES_OUT, RTT, QUEUE, PLAYERS }

## Values of each kind, the newest last.
var series: Array[PackedFloat32Array] = []

var _session: Session
var _until_sample := 0.0
var _before: Dictionary = {}
var _peer: MultiplayerPeer


func _init(session: Session) -> void:
	_session = session
	for kind: Kind in Kind.values():
		series.append(PackedFloat32Array())


func latest(kind: Kind) -> float:
	return NAN if series[kind].is_empty() else series[kind][-1]


func _process(delta: float) -> void:
	_until_sample -= delta
	if _until_sample > 0.0:
		return
	_until_sample = PAUSE
	var stats := _stats()
	_add(Kind.BYTES_IN, _rate(stats, "wire_bytes_received"))
	_add(Kind.BYTES_OUT, _rate(stats, "wire_bytes_sent"))
	var rtt: float = stats.get("rtt", -1.0)
	_add(Kind.RTT, rtt * 1000.0 if rtt >= 0.0 else NAN)
	_add(Kind.QUEUE, stats.get("queued_bytes", NAN))
	_add(Kind.PLAYERS, _session.room.world.players.size())
	_before = stats
	measured.emit()


func _add(kind: Kind, value: float) -> void:
	if series[kind].size() == KEPT:
		series[kind].remove_at(0)
	series[kind].append(value)


func _stats() -> Dictionary:
	if _session.peer != _peer:
		_peer = _session.peer
		_before = {}
	if _peer == null or not _peer.has_method(&"get_stats"):
		return {}
	return _peer.call(&"get_stats")


func _rate(stats: Dictionary, key: String) -> float:
	if not stats.has(key) or not _before.has(key):
		return NAN
	return (stats[key] - _before[key]) / PAUSE

