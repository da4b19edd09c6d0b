class_name Lens
extends RefCounted
## From places in the arena to places on a control, and back.

var scale := 1.0
var origin := Vector2.ZERO


## The arena as large as it fits into `size`, in its middle.
func fit(size: Vector2) -> void:
	scale = minf(size.x / Rules.ARENA.size.x, size.y / Rules.ARENA.size.y)
	origin = (size - Rules.ARENA.size * scale) / 2.0


func point(at: Vector2) -> Vector2:
	return origin + at * scale


func place(at: Vector2) -> Vector2:
	return (at - origin) / scale


func frame() -> Rect2:
	return Rect2(origin, Rules.ARENA.size * scale)
