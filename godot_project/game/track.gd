class_name Track
extends RefCounted
## The last places of something, to draw it moving evenly although news of it comes in steps.

const KEPT := 12

var _times := PackedFloat64Array()
var _places := PackedVector2Array()


func add(at: Vector2) -> void:
	if _times.size() == KEPT:
		_times.remove_at(0)
		_places.remove_at(0)
	_times.append(_now())
	_places.append(at)


## Forgets all places but this one: what jumps must not be drawn sliding.
func restart(at: Vector2) -> void:
	_times.clear()
	_places.clear()
	add(at)


## Where it was `delay` seconds ago.
func place(delay: float) -> Vector2:
	var time := _now() - delay
	var newer := _times.bsearch(time)
	if newer == 0:
		return _places[0]
	if newer == _times.size():
		return _places[-1]
	var part := inverse_lerp(_times[newer - 1], _times[newer], time)
	return _places[newer - 1].lerp(_places[newer], part)


func _now() -> float:
	return Time.get_ticks_usec() / 1e6
