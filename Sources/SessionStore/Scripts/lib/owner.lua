-- Sets is_foreign: whether the requester may not see the session. A session belongs to the subject
-- that created it. Sets owner_subject to '' for a session without an owner.
--
-- Needs  owner_subject (of the state; false for none), the arguments subject and opens_unowned
owner_subject = owner_subject or ''
local is_foreign = subject ~= '' and owner_subject ~= subject and not (opens_unowned and owner_subject == '')
