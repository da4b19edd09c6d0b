class_name SparksLayer
extends Layer
## What flies up where an orb is taken.

const SECONDS := 0.7
const COUNT := 10


class Burst:
	var at := Vector2.ZERO
	var color := Color.WHITE
	var text := ""
	var age := 0.0
	var turn := randf() * TAU


var _bursts: Array[Burst] = []
var _font := Look.bold()


func _init(with_lens: Lens, world: World) -> void:
	super(with_lens)
	world.taken.connect(_on_taken)


func _process(delta: float) -> void:
	for burst: Burst in _bursts.duplicate():
		burst.age += delta
		if burst.age > SECONDS:
			_bursts.erase(burst)
	queue_redraw()


func _draw() -> void:
	for burst in _bursts:
		var part := burst.age / SECONDS
		var at := lens.point(burst.at)
		var fading := 1.0 - part
		var reach := (14.0 + 46.0 * (1.0 - fading * fading)) * lens.scale
		draw_arc(at, reach * 0.8, 0.0, TAU, 32, Color(burst.color, 0.5 * fading), 2.0 * fading + 0.5, true)
		for spark in COUNT:
			var way := Vector2.from_angle(burst.turn + spark * TAU / COUNT)
			Paint.disc(self, at + way * reach * (0.8 + 0.3 * (spark % 3)), 2.6 * fading, Color(burst.color, fading))
		Paint.caption(self, _font, at - Vector2(0.0, 18.0 + 22.0 * part), burst.text, 14, Color(burst.color, fading))


func _on_taken(orb: int, _player: Player, at: Vector2) -> void:
	var burst := Burst.new()
	burst.at = at
	burst.color = Look.AMBER if Rules.is_star(orb) else Look.MINT
	burst.text = "+%d" % Rules.points(orb)
	_bursts.append(burst)
