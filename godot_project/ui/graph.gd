class_name Graph
extends Control
## A small curve of a value over time, with its name and newest value.

var _title: String
var _color: Color
var _format: Callable
var _values := PackedFloat32Array()
var _font := ThemeDB.fallback_font


func _init(title: String, color: Color, format: Callable) -> void:
	_title = title
	_color = color
	_format = format
	custom_minimum_size = Vector2(176.0, 84.0)
	size_flags_horizontal = SIZE_EXPAND_FILL


func display(values: PackedFloat32Array) -> void:
	_values = values
	queue_redraw()


func _draw() -> void:
	draw_style_box(Look.box(Color(Look.DEEP, 0.9), 10), Rect2(Vector2.ZERO, size))
	draw_string(_font, Vector2(10.0, 19.0), _title, HORIZONTAL_ALIGNMENT_LEFT, -1, 12, Look.MUTED)
	var text: String = "" if _values.is_empty() else _format.call(_values[-1])
	draw_string(_font, Vector2(0.0, 19.0), text, HORIZONTAL_ALIGNMENT_RIGHT, size.x - 10.0, 12, _color)
	_draw_curve(Rect2(10.0, 28.0, size.x - 20.0, size.y - 38.0))


func _draw_curve(frame: Rect2) -> void:
	draw_line(Vector2(frame.position.x, frame.end.y), frame.end, Look.LINE, 1.0)
	var highest := 0.0
	for value in _values:
		if not is_nan(value):
			highest = maxf(highest, value)
	var curve := PackedVector2Array()
	var step := frame.size.x / (Meter.KEPT - 1)
	for index in _values.size():
		if is_nan(_values[index]):
			continue
		var part := 0.0 if highest <= 0.0 else _values[index] / (highest * 1.1)
		var x := frame.end.x - (_values.size() - 1 - index) * step
		curve.append(Vector2(x, frame.end.y - part * frame.size.y))
	if curve.size() < 2:
		return
	var area := curve.duplicate()
	area.append(Vector2(curve[-1].x, frame.end.y + 1.0))
	area.append(Vector2(curve[0].x, frame.end.y + 1.0))
	draw_colored_polygon(area, Color(_color, 0.16))
	draw_polyline(curve, _color, 1.6, true)
