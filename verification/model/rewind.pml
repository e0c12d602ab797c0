/*
 * Sources/SessionStore/Scripts/rewind.lua: the history is cut while no step runs. It is cut to nothing, or, if
 * `keeps_first`, behind its first message, which keeps its key. (The script cuts anywhere behind a message, and
 * never to nothing.) All that came of the messages that go must go, too. `seen` is the fence that the caller has
 * read.
 */
inline rewind(with_token, seen, keeps_first) {
  say("rewind, token %d, keeps the first message %d", with_token, keeps_first)
  if
  :: s.begun[with_token] ->
    answer = REWOUND
  :: s.status == RUNNING && !REWIND_IGNORES_RUNNING_STEP ->
    answer = BUSY
  :: s.fence != seen || s.last == NOTHING || keeps_first && s.last == USER && s.messages == bit_of(s.first) ->
    answer = GONE
  :: else ->
    require(I5_no_silence, s.fence == 0 || has(s.done, s.fence));
    open_step(with_token);
    s.begun[with_token] = s.fence;
    s.done = s.done | bit_of(s.fence);
    s.stored = s.stored | bit_of(s.fence);
    cut = cut | (keeps_first -> s.messages & ~bit_of(s.first) : s.messages);
    was_cut = true;
    s.messages = (keeps_first -> bit_of(s.first) : 0);
    s.last = (keeps_first -> USER : NOTHING);
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
    :: index < REQUESTS ->
      s.key[index] = (keeps_first && index == s.first && !REWIND_FORGETS_KEPT_KEY -> s.key[index] : 0);
      index++
    :: else -> break
    od;
    index = 0;
    s.status = IDLE;
    s.token = NONE;
    s.lease = NO_LEASE;
    s.intent = false;
    answer = REWOUND
  fi;
  say(": %e\n", answer)
}
