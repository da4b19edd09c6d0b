extends RefCounted
## What a hall knows of one peer.

var id: int
## What the client calls itself; 0 until it has said so.
var key := 0
## Packets of its that came.
var received := 0
## Packets that went back.
var echoed := 0
## The first broadcast that it hears, and the one after the last if it has been told to go.
var first_broadcast: int
var last_broadcast := -1
## The last broadcast may have found its connection closed already, which is told a poll later.
var is_unsure := false
## Packets that were refused because it reads slowly, oldest first.
var backlog: Array[PackedByteArray] = []
## Broadcasts among them.
var unheard := 0
## It has asked for an account.
var wants_account := false
## It has read everything, as it says.
var is_fast := false
## Why it has gone.
var how := "left"
## It sent something else than it should, and is not looked at any more.
var is_broken := false


func _init(peer_id: int, next_broadcast: int) -> void:
	id = peer_id
	first_broadcast = next_broadcast
