class_name FloorLayer
extends Layer
## The ground: drawn once for each size.

const DOT_STEP := 50.0


func _draw() -> void:
	var frame := lens.frame()
	draw_style_box(Look.box(Look.DEEP, 18, 0, Look.LINE), frame)
	Paint.glow(self, frame.get_center(), frame.size.y * 0.62, Color(Look.VIOLET, 0.15))
	Paint.glow(self, frame.position + frame.size * Vector2(0.16, 0.84), frame.size.y * 0.4, Color(Look.SKY, 0.11))
	Paint.glow(self, frame.position + frame.size * Vector2(0.86, 0.16), frame.size.y * 0.4, Color(Look.MINT, 0.09))
	var columns := int(Rules.ARENA.size.x / DOT_STEP)
	var rows := int(Rules.ARENA.size.y / DOT_STEP)
	for column in range(1, columns):
		for row in range(1, rows):
			draw_rect(Rect2(lens.point(Vector2(column, row) * DOT_STEP) - Vector2.ONE, Vector2.ONE * 2.0), Color(Look.LINE, 0.8))
	for ring: float in [140.0, 300.0]:
		draw_arc(frame.get_center(), ring * lens.scale, 0.0, TAU, 96, Color(Look.LINE, 0.6), 1.5, true)
