class_name Pilot
extends Node
## Moves the player of a session: where to is for those who extend it to say.

var session: Session

var _velocity := Vector2.ZERO
var _dash := Vector2.ZERO
var _dash_left := 0.0
var _dash_pause := 0.0
var _until_tick := 0.0


func _init(of: Session) -> void:
	session = of


## The way to go, at most 1 long.
func direction(_me: Player, _delta: float) -> Vector2:
	return Vector2.ZERO


func wants_to_dash(_me: Player) -> bool:
	return false


func _process(delta: float) -> void:
	var me := session.room.me() if session.state == Session.State.IN else null
	if me == null:
		return
	_move(me, delta)
	_until_tick -= delta
	if _until_tick <= 0.0:
		_until_tick = Rules.TICK_SECONDS
		session.room.steer.rpc_id(1, me.place)


func _move(me: Player, delta: float) -> void:
	var way := direction(me, delta).limit_length()
	_dash_pause -= delta
	_dash_left -= delta
	if _dash_pause <= 0.0 and not way.is_zero_approx() and wants_to_dash(me):
		_dash = way.normalized() * Rules.DASH_SPEED
		_dash_left = Rules.DASH_SECONDS
		_dash_pause = Rules.DASH_PAUSE
	_velocity = _velocity.lerp(way * Rules.SPEED, 1.0 - exp(-12.0 * delta))
	if _dash_left > 0.0:
		_velocity = _dash
	var field := Rules.field()
	me.move((me.place + _velocity * delta).clamp(field.position, field.end))
