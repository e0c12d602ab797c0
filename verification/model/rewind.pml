/*
 * Sources/SessionStore/Scripts/rewind.lua: the history is cut while no step runs. Here it is cut to nothing, the hardest case: whatever came of
 * the messages that go must go, too. `seen` is the fence that the caller has looked at.
 */
inline rewind(with_token, seen) {
  say("rewind, token %d", with_token)
  if
  :: s.begun[with_token] ->
    answer = REWOUND
  :: s.status == RUNNING && !REWIND_IGNORES_RUNNING_STEP ->
    answer = BUSY
  :: s.fence != seen || s.last == NOTHING ->
    answer = GONE
  :: else ->
    require(I5_no_silence, s.fence == 0 || has(s.done, s.fence));
    open_step(with_token);
    s.begun[with_token] = s.fence;
    s.done = s.done | bit_of(s.fence);
    s.stored = s.stored | bit_of(s.fence);
    cut = cut | s.messages;
    s.messages = 0;
    s.last = NOTHING;
    s.open = 0;
    if
    :: !REWIND_LEAVES_CALLS_OPEN ->
      s.pending = 0;
      s.call[0] = UNKNOWN;
      s.call[1] = UNKNOWN
    :: else
    fi;
    index = 0;
    do
    :: index < REQUESTS -> s.key[index] = 0; index++
    :: else -> break
    od;
    index = 0;
    s.status = IDLE;
    s.token = NONE;
    s.lease = GIVEN_BACK;
    s.intent = false;
    answer = REWOUND
  fi;
  say(": %e\n", answer)
}
