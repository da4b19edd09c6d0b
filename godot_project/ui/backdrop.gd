class_name Backdrop
extends Control
## Soft lights that drift behind the menu.

const LIGHTS := 26

var _seeds := PackedVector3Array()
var _time := 0.0


func _init() -> void:
	set_anchors_preset(PRESET_FULL_RECT)
	mouse_filter = MOUSE_FILTER_IGNORE
	for light in LIGHTS:
		_seeds.append(Vector3(randf(), randf(), randf()))


func _process(delta: float) -> void:
	_time += delta
	queue_redraw()


func _draw() -> void:
	draw_rect(Rect2(Vector2.ZERO, size), Look.NIGHT)
	Paint.glow(self, size * Vector2(0.2, 0.9), size.x * 0.5, Color(Look.VIOLET, 0.16))
	Paint.glow(self, size * Vector2(0.85, 0.1), size.x * 0.45, Color(Look.SKY, 0.13))
	for light in LIGHTS:
		var spot := _seeds[light]
		var at := Vector2(spot.x, fposmod(spot.y - _time * (0.006 + 0.014 * spot.z), 1.1) - 0.05)
		at.x += 0.012 * sin(_time * 0.6 + TAU * spot.z)
		var color := Look.PLAYERS[light % Look.PLAYERS.size()]
		var radius := 5.0 + 13.0 * spot.z
		Paint.glow(self, at * size, radius * 3.0, Color(color, 0.35))
		Paint.disc(self, at * size, radius, Color(color, 0.75))
