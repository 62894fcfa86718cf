variable "name" {
  description = "Name of the installation, the prefix of everything it makes."
  type        = string
  default     = "gatehouse"
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "zones" {
  description = "Availability zones of the region, two to four."
  type        = list(string)
  default     = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
}

variable "network" {
  description = "Private IPv4 network, a /16. k8s/overlays/aws/to-redis.yaml names its data range."
  type        = string
  default     = "10.40.0.0/16"
}

variable "kubernetes_version" {
  description = "Kubernetes version of the cluster; the manifests are validated against 1.31 to 1.36."
  type        = string
  default     = "1.35"
}

variable "api_allowed_cidrs" {
  description = "Networks from which the Kubernetes API may be reached: your office, your CI. Never the whole internet."
  type        = list(string)
  validation {
    condition     = length(var.api_allowed_cidrs) > 0 && alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "At least one network, each narrower than the whole internet."
  }
}

variable "nodes" {
  description = "Fewest and most worker nodes over all zones."
  type = object({
    min = number
    max = number
  })
  default = { min = 3, max = 9 }
}

variable "node_type" {
  description = "EC2 instance type of the worker nodes (x86-64)."
  type        = string
  default     = "m7i.large"
}

variable "nat_per_zone" {
  description = "Whether every zone has a NAT gateway of its own; one for all is cheaper, and a single point of failure."
  type        = bool
  default     = true
}

variable "redis_node_type" {
  description = "ElastiCache node type."
  type        = string
  default     = "cache.t4g.small"
}

variable "redis_auth_token" {
  description = "Password of Redis: 16 to 128 letters and digits, so that it needs no escaping in a URL. Never stored in the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  validation {
    condition     = can(regex("^[A-Za-z0-9]{16,128}$", var.redis_auth_token))
    error_message = "16 to 128 letters and digits."
  }
}

variable "redis_auth_token_version" {
  description = "Raise it when the password changes: Terraform cannot see that, as it does not keep the password."
  type        = number
  default     = 1
}
