-- Finds the incidents that share a message.
create index delivery_by_thread on delivery (destination, thread) where thread is not null;
