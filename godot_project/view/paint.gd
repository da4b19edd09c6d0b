class_name Paint
extends RefCounted
## Shapes that several layers draw.

static var _glow: GradientTexture2D


## Soft light around a point.
static func glow(canvas: CanvasItem, at: Vector2, radius: float, color: Color) -> void:
	canvas.draw_texture_rect(_glow_texture(), Rect2(at - Vector2.ONE * radius, Vector2.ONE * radius * 2.0), false, color)


static func disc(canvas: CanvasItem, at: Vector2, radius: float, color: Color) -> void:
	canvas.draw_circle(at, radius, color, true, -1.0, true)


static func star(canvas: CanvasItem, at: Vector2, radius: float, turn: float, color: Color) -> void:
	var points := PackedVector2Array()
	for corner in 10:
		var reach := radius if corner % 2 == 0 else radius * 0.5
		points.append(at + Vector2.from_angle(turn + corner * TAU / 10.0) * reach)
	canvas.draw_colored_polygon(points, color)
	points.append(points[0])
	canvas.draw_polyline(points, color, 1.5, true)


static func crown(canvas: CanvasItem, at: Vector2, size: float, color: Color) -> void:
	var shape: PackedVector2Array = [
		Vector2(-1.0, 0.6), Vector2(-1.15, -0.5), Vector2(-0.5, 0.05), Vector2(0.0, -0.8),
		Vector2(0.5, 0.05), Vector2(1.15, -0.5), Vector2(1.0, 0.6),
	]
	var points := PackedVector2Array()
	for corner in shape:
		points.append(at + corner * size)
	canvas.draw_colored_polygon(points, color)
	points.append(points[0])
	canvas.draw_polyline(points, color, 1.2, true)


## A line of text whose middle is `at`, legible on everything.
static func caption(canvas: CanvasItem, font: Font, at: Vector2, text: String, size: int, color: Color) -> void:
	var width := font.get_string_size(text, HORIZONTAL_ALIGNMENT_LEFT, -1, size).x
	var start := (at - Vector2(width / 2.0, 0.0)).round()
	canvas.draw_string_outline(font, start, text, HORIZONTAL_ALIGNMENT_LEFT, -1, size, 5, Color(Look.NIGHT, 0.75 * color.a))
	canvas.draw_string(font, start, text, HORIZONTAL_ALIGNMENT_LEFT, -1, size, color)


static func _glow_texture() -> GradientTexture2D:
	if _glow == null:
		var gradient := Gradient.new()
		gradient.offsets = [0.0, 0.35, 1.0]
		gradient.colors = [Color(1, 1, 1, 0.9), Color(1, 1, 1, 0.32), Color(1, 1, 1, 0.0)]
		_glow = GradientTexture2D.new()
		_glow.gradient = gradient
		_glow.fill = GradientTexture2D.FILL_RADIAL
		_glow.fill_from = Vector2(0.5, 0.5)
		_glow.fill_to = Vector2(1.0, 0.5)
		_glow.width = 128
		_glow.height = 128
	return _glow
