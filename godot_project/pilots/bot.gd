class_name Bot
extends Pilot
## Goes for the orb that is most worth its way, gets distracted, and chats a little.

const LINES: PackedStringArray = [
	"hi all", "nice one", "that star is mine", "so close!", "gg", "who took my orb?", "behind you :)",
	"wheee", "brb", "lag? what lag?", "catch me", "almost had it", "top three, here I come",
	"good luck everyone", "this corner is mine now", "one more round?",
]
## Others are kept so far away.
const ELBOW := 90.0

## How many seconds pass between two lines of its, on average; 0 for one who is silent.
var chattiness := 0.0

var _target := -1
var _until_thought := 0.0
var _until_line := randf() * 10.0
var _mood := randf()
var _wobble := randf() * TAU


func direction(me: Player, delta: float) -> Vector2:
	_think(me, delta)
	_talk(delta)
	if _target < 0:
		return Vector2.ZERO
	_wobble += delta * (2.0 + 3.0 * _mood)
	# Not beyond the target, also where frames are rare.
	var way := (session.room.world.orbs[_target] - me.place) / (Rules.SPEED * maxf(delta, 0.001))
	return way.limit_length(lerpf(0.6, 1.0, _mood)).rotated(0.5 * sin(_wobble)) + _elbow_room(me)


func wants_to_dash(_me: Player) -> bool:
	return randf() < 0.01


## Away from whoever is too near.
func _elbow_room(me: Player) -> Vector2:
	var push := Vector2.ZERO
	for other: Player in session.room.world.players.values():
		var gap := me.place - other.place
		if other != me and gap.length_squared() < ELBOW * ELBOW:
			push += gap.normalized() * (1.0 - gap.length() / ELBOW)
	return push


func _think(me: Player, delta: float) -> void:
	_until_thought -= delta
	if _until_thought > 0.0:
		return
	_until_thought = randf_range(0.3, 1.0)
	var orbs := session.room.world.orbs
	var best := INF
	_target = -1
	for orb in orbs.size():
		var cost := me.place.distance_to(orbs[orb]) / sqrt(Rules.points(orb)) * randf_range(0.4, 1.6)
		if cost < best:
			best = cost
			_target = orb


func _talk(delta: float) -> void:
	if chattiness <= 0.0:
		return
	_until_line -= delta
	if _until_line <= 0.0:
		_until_line = randf_range(0.3, 1.7) * chattiness
		session.room.say.rpc_id(1, LINES[randi() % LINES.size()])
