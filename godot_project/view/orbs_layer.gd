class_name OrbsLayer
extends Layer
## What there is to collect.

var _world: World


func _init(with_lens: Lens, world: World) -> void:
	super(with_lens)
	_world = world


func _process(_delta: float) -> void:
	queue_redraw()


func _draw() -> void:
	var time := Time.get_ticks_msec() / 1000.0
	for orb in _world.orbs.size():
		var at := lens.point(_world.orbs[orb])
		var radius := Rules.ORB_RADIUS * lens.scale * (1.0 + 0.12 * sin(time * 3.0 + orb))
		if Rules.is_star(orb):
			Paint.glow(self, at, radius * 5.0, Color(Look.AMBER, 0.6))
			Paint.star(self, at, radius * 1.7, time + orb, Look.AMBER)
		else:
			Paint.glow(self, at, radius * 3.4, Color(Look.MINT, 0.4))
			Paint.disc(self, at, radius * 0.8, Look.MINT)
			Paint.disc(self, at - Vector2.ONE * radius * 0.22, radius * 0.28, Color(1, 1, 1, 0.8))
