import Foundation

/// A key of Redis that no other test has.
public func uniqueKey(_ prefix: String = "k") -> String {
    "\(prefix)-\(UUID().uuidString.lowercased().prefix(13))"
}
