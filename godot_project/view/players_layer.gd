class_name PlayersLayer
extends Layer
## Everybody who is in, with a name overhead and a crown on the best.

const TRAIL := 6
const TRAIL_STEP := 0.035
## Names keep so far from the edges.
const EDGE := Vector2(26.0, 20.0)

var _room: Room
var _font := Look.bold()
var _size := 13


func _init(with_lens: Lens, room: Room) -> void:
	super(with_lens)
	_room = room


func _process(_delta: float) -> void:
	queue_redraw()


func _draw() -> void:
	var me := _room.me()
	var leader := _room.world.leader()
	for player: Player in _room.world.players.values():
		_draw_body(player, player == me)
	# Names over all bodies.
	for player: Player in _room.world.players.values():
		_draw_name(player, player == me, player == leader)


func _draw_body(player: Player, is_me: bool) -> void:
	var delay := 0.0 if is_me else Rules.DELAY_SECONDS
	var color := Look.player_color(player.title)
	var radius := Rules.PLAYER_RADIUS * lens.scale
	var at := lens.point(player.track.place(delay))
	Paint.glow(self, at, radius * 2.3, Color(color, 0.45))
	for step in range(TRAIL, 0, -1):
		var past := lens.point(player.track.place(delay + step * TRAIL_STEP))
		var part := 1.0 - float(step) / (TRAIL + 1)
		Paint.disc(self, past, radius * (0.35 + 0.6 * part), Color(color, 0.16 * part))
	if is_me:
		draw_arc(at, radius + 5.0, 0.0, TAU, 48, Color(Color.WHITE, 0.85), 2.0, true)
	Paint.disc(self, at, radius, color.darkened(0.28))
	Paint.disc(self, at, radius - 2.0, color)
	Paint.disc(self, at - Vector2(0.0, radius * 0.22), radius * 0.68, color.lightened(0.14))
	_draw_eyes(at, radius, lens.point(player.track.place(delay + 0.06)))


func _draw_eyes(at: Vector2, radius: float, before: Vector2) -> void:
	var way := (at - before).limit_length(radius * 0.3)
	for side: float in [-1.0, 1.0]:
		var eye := at + Vector2(side * radius * 0.34, -radius * 0.08) + way * 0.7
		Paint.disc(self, eye, radius * 0.24, Color.WHITE)
		Paint.disc(self, eye + way * 0.35, radius * 0.13, Look.NIGHT)


func _draw_name(player: Player, is_me: bool, is_leader: bool) -> void:
	var at := lens.point(player.track.place(0.0 if is_me else Rules.DELAY_SECONDS))
	var over := at - Vector2(0.0, Rules.PLAYER_RADIUS * lens.scale + 7.0)
	# Also at the edges.
	over = over.clamp(lens.frame().position + EDGE, lens.frame().end - EDGE)
	Paint.caption(self, _font, over, player.title, _size, Color.WHITE if is_me else Color(Look.TEXT, 0.9))
	if is_leader:
		Paint.crown(self, over - Vector2(0.0, _size + 7.0), 7.0, Look.AMBER)
