class_name Rules
extends RefCounted
## The numbers of the game.

const ARENA := Rect2(0.0, 0.0, 1400.0, 1000.0)
const PLAYER_RADIUS := 22.0
const SPEED := 300.0
const DASH_SPEED := 760.0
const DASH_SECONDS := 0.16
const DASH_PAUSE := 1.2
## A client whose place differs this much from what the server says gives in.
const LEASH := 260.0

const ORBS := 26
const ORB_RADIUS := 10.0
## No orb is nearer to the edge.
const ORB_MARGIN := 60.0
## Each so-many-th orb is a star.
const STAR_EVERY := 13
const ORB_POINTS := 1
const STAR_POINTS := 5

const ROUND_SECONDS := 120.0

## How often a client says where it is, and the server where all are.
const TICK_SECONDS := 0.05
## Others are drawn as they were so long ago, so that there is always a next place to move to.
const DELAY_SECONDS := 0.11

const NAME_LENGTH := 16
const CHAT_LENGTH := 120
const CHAT_PAUSE_MSEC := 250

const PORT := 9080


## Where a player may be.
static func field() -> Rect2:
	return ARENA.grow(-PLAYER_RADIUS)


static func is_star(orb: int) -> bool:
	return orb % STAR_EVERY == 0


static func points(orb: int) -> int:
	return STAR_POINTS if is_star(orb) else ORB_POINTS


static func random_place(margin: float) -> Vector2:
	var area := ARENA.grow(-margin)
	return area.position + Vector2(randf() * area.size.x, randf() * area.size.y)


## A line of text as others may see it: one line, not too long.
static func clean(text: String, length: int) -> String:
	return text.strip_escapes().strip_edges().left(length)
