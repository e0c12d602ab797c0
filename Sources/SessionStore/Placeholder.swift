import NIOSSL
import CHiredis
import Crypto
import NIOCore
enum PH { static let x = PackageResources.delete_session_lua.count }
