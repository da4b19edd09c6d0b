class_name Player
extends RefCounted
## What is known of a player.

var id := 0
var title := ""
var score := 0
## Where it is, as far as this process knows.
var place := Vector2.ZERO
## How often a place of it has arrived.
var moves := 0
var track := Track.new()


func _init(player_id: int, player_title: String, at: Vector2) -> void:
	id = player_id
	title = player_title
	place = at
	track.add(at)


func move(to: Vector2) -> void:
	if to != place:
		moves += 1
	place = to
	track.add(to)
