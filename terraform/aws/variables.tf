variable "name" {
  description = "Name of the installation and prefix of its resources."
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
  description = "Private IPv4 network, a /16. k8s/overlays/aws/to-redis.yaml contains its data range."
  type        = string
  default     = "10.40.0.0/16"
}

variable "kubernetes_version" {
  description = "Kubernetes version of the cluster; the manifests are validated against 1.31 to 1.36."
  type        = string
  default     = "1.35"
}

variable "api_allowed_cidrs" {
  description = "Networks that may access the Kubernetes API, such as your office and your CI. Never the whole internet."
  type        = list(string)
  validation {
    condition     = length(var.api_allowed_cidrs) > 0 && alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Expected at least one network, and none that is the whole internet."
  }
}

variable "nodes" {
  description = "Minimum and maximum number of worker nodes in all zones together."
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
  description = "Whether each zone has its own NAT gateway. One for all zones is cheaper, but a single point of failure."
  type        = bool
  default     = true
}

variable "redis_node_type" {
  description = "ElastiCache node type."
  type        = string
  default     = "cache.t4g.small"
}

variable "redis_auth_token" {
  description = "Password of Redis: 16 to 128 letters and digits, which need no escaping in a URL. It is not stored in the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  validation {
    condition     = can(regex("^[A-Za-z0-9]{16,128}$", var.redis_auth_token))
    error_message = "Expected 16 to 128 letters and digits."
  }
}

variable "redis_auth_token_version" {
  description = "Increase it when the password changes. Terraform does not store the password and cannot detect the change."
  type        = number
  default     = 1
}
