/// Values with the times at which they are due, the earliest first: a binary heap.
struct Timers<Value> {
    private var heap: [(time: UInt64, value: Value)] = []

    var next: UInt64? { heap.first?.time }

    mutating func add(_ value: Value, at time: UInt64) {
        heap.append((time, value))
        var child = heap.count - 1
        while child > 0, heap[(child - 1) / 2].time > heap[child].time {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Removes and returns the earliest value if it is due at `time`.
    mutating func take(until time: UInt64) -> (time: UInt64, value: Value)? {
        guard let first = heap.first, first.time <= time else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child + 1 < heap.count, heap[child + 1].time < heap[child].time { child += 1 }
            guard child < heap.count, heap[child].time < heap[parent].time else { return first }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}
