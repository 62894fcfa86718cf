# Names, address plan and node counts for both clouds. No provider, no resources.
terraform {
  required_version = ">= 1.11"
}

variable "name" {
  description = "Name of the installation and prefix of its resources: 3 to 20 lower-case letters, digits and hyphens."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "Expected 3 to 20 lower-case letters, digits and single hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "network" {
  description = "Private IPv4 network of the installation, a /16."
  type        = string
  validation {
    condition     = can(cidrhost(var.network, 0)) && endswith(var.network, "/16") && cidrhost(var.network, 0) == split("/", var.network)[0]
    error_message = "Expected a /16 with its first address, such as 10.40.0.0/16."
  }
  validation {
    condition     = can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)", var.network))
    error_message = "Expected a private network (RFC 1918)."
  }
  validation {
    condition     = !contains(["172.20.0.0/16", "172.21.0.0/16"], var.network)
    error_message = "172.20.0.0/16 and 172.21.0.0/16 are reserved for the cluster's services and pods."
  }
}

variable "zones" {
  description = "Availability zones, two to four."
  type        = list(string)
  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 4 && length(distinct(var.zones)) == length(var.zones)
    error_message = "Expected two to four different zones: one is not highly available, and the address plan has room for four."
  }
}

variable "nodes" {
  description = "Minimum and maximum number of worker nodes in all zones together."
  type = object({
    min = number
    max = number
  })
  validation {
    condition     = var.nodes.min >= 1 && var.nodes.max >= var.nodes.min
    error_message = "Expected at least one node, and a maximum that is not below the minimum."
  }
}

locals {
  data_cidr   = cidrsubnet(var.network, 4, 14)
  public_cidr = cidrsubnet(var.network, 4, 15)

  zones = {
    for index, zone in var.zones : zone => {
      nodes_cidr  = cidrsubnet(var.network, 3, index)
      data_cidr   = cidrsubnet(local.data_cidr, 2, index)
      public_cidr = cidrsubnet(local.public_cidr, 4, index)
    }
  }
}

output "zones" {
  description = "Per zone: a /19 for nodes (and for pods with addresses in this network), a /22 for data services, a public /24."
  value       = local.zones
}

output "nodes_cidr" {
  description = "Nodes of all zones: the lower half of the network."
  value       = cidrsubnet(var.network, 1, 0)
}

output "data_cidr" {
  description = "Data services of all zones."
  value       = local.data_cidr
}

output "services_cidr" {
  description = "Addresses of Kubernetes services, outside the network."
  value       = "172.20.0.0/16"
}

output "pods_cidr" {
  description = "Addresses of pods in an overlay network, outside the network."
  value       = "172.21.0.0/16"
}

output "nodes_per_zone" {
  description = "Minimum and maximum number of nodes per zone, at least one in each."
  value = {
    min = ceil(var.nodes.min / length(var.zones))
    max = ceil(var.nodes.max / length(var.zones))
  }
}

output "repositories" {
  description = "Image repositories, named as in the Kubernetes overlays."
  value       = toset(["gatehouse/gateway", "gatehouse/backend"])
}

