/* Time passes. Leases of dead owners run out; leases of living owners as often as the check says. */

proctype Leases() {
end:
  do
  :: d_step {
      s.status == RUNNING && s.lease == IN_TIME && !has(living, s.token) ->
      s.lease = RAN_OUT;
      say("the lease of the dead runs out\n")
    }
  :: d_step {
      s.status == RUNNING && s.lease == IN_TIME && has(living, s.token) && stalls < STALLS ->
      stalls++;
      s.lease = RAN_OUT;
      say("the lease of the living runs out\n")
    }
  od
}

proctype Hints() {
end:
  do
  :: d_step { hint == AHEAD -> hint = DUE; promised = 0; say("the hint is due\n") }
  od
}
